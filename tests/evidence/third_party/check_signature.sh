#!/bin/sh
# Verifies the checkpoint's signature of an exported Keyturn log with OpenSSL 3.
#
#   sh check_signature.sh VKEY FOLDER
#
# VKEY is the log's key as you got it from somebody you trust. With - for FOLDER, folders are read from standard input, one a line.
# One line of JSON answers each.
vkey=$1 work=$(mktemp -d) status=0
trap 'rm -rf "$work"' EXIT
{ printf '\060\052\060\005\006\003\053\145\160\003\041\000'; printf %s "$vkey" | cut -d+ -f3- | base64 -d | tail -c +2; } > "$work/key.der"

check() {
  if [ ! -f "$1/checkpoint" ] || [ -L "$1/checkpoint" ]; then
    echo '{"intact": false, "why": "there is no checkpoint"}'
    return 7
  fi
  sed -n '1,/^$/p' "$1/checkpoint" | sed '$d' > "$work/text"
  tail -n 1 "$1/checkpoint" | cut -d' ' -f3 | base64 -d 2> "$work/said" | tail -c +5 > "$work/signature"
  if [ -s "$work/said" ]; then
    echo '{"intact": false, "why": "the signature is no base64"}'
    return 7
  fi
  if ! openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey "$work/key.der" -in "$work/text" -sigfile "$work/signature" > "$work/said" 2>&1; then
    echo '{"intact": false, "why": "the signature is not over this text"}'
    return 7
  fi
  { read -r origin; read -r size; read -r root; } < "$work/text"
  if [ "$origin" != "${vkey%%+*}" ]; then
    echo '{"intact": false, "why": "a checkpoint of another log"}'
    return 7
  fi
  printf '{"intact": true, "origin": "%s", "size": "%s", "root": "%s"}\n' "$origin" "$size" "$root"
}

if [ "$2" != - ]; then
  check "$2" || status=$?
else
  while read -r folder; do check "$folder" || :; done
fi
exit $status
