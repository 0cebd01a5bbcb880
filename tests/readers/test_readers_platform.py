"""Containers, services, clusters, infrastructure, forges: what only looks is told from what changes."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from readers_cases import AROUND

from keyturn.readers import read_shell
from keyturn.readers.shell.grammar import programs
from keyturn.readers.shell.wordlist import words

LOOKS = [
    "docker ps -a --format '{{.Names}}'",
    "docker logs -f --tail=100 web",
    "docker images -q",
    "docker compose ps",
    "podman ps -aq",
    "systemctl --user status nginx.service",
    "systemctl list-units --failed --no-pager",
    "kubectl -n shop get pods -o wide",
    "kubectl get deploy,svc -A --show-labels",
    "kubectl describe pod web-1",
    "kubectl logs -f --tail=50 web-1 -c app",
    "kubectl config current-context",
    "helm list -A",
    "terraform version",
    "gh pr view 12 --json title,body",
    "gh run list --limit 5",
    "aws ec2 describe-instances --region eu-west-1 --query 'Reservations[].Instances[]'",
    "aws --profile dev s3 ls s3://x --recursive",
    "aws sts get-caller-identity",
    "gcloud compute instances list --project=x --format json",
    "gcloud container clusters describe main --zone=x",
    "az group list -o table",
    "crontab -l",
]
CHANGES = [
    ("docker run --rm alpine ls", "executes"),
    ("docker exec web ls", "executes"),
    ("docker compose up -d --build", "executes"),
    ("docker compose down -v", "deletes"),
    ("docker rm -f web", "deletes"),
    ("docker system prune -af", "deletes"),
    ("docker push x/y:1", "sends"),
    ("docker build -t x .", "executes"),
    ("podman exec web ls", "executes"),
    ("systemctl restart nginx", "executes"),
    ("systemctl mask nginx", "configures"),
    ("service nginx restart", "executes"),
    ("kubectl apply -f deploy.yaml", "configures"),
    ("kubectl delete pod web-1", "deletes"),
    ("kubectl exec -it web-1 -- sh", "executes"),
    ("kubectl port-forward svc/web 8080:80", "configures"),
    ("kubectl config use-context prod", "configures"),
    ("helm uninstall web", "deletes"),
    ("terraform apply -auto-approve", "configures"),
    ("terraform destroy", "deletes"),
    ("terraform plan -out=x", "executes"),
    ("gh pr create --fill", "sends"),
    ("gh pr merge 12 --squash", "configures"),
    ("gh repo delete x/y --yes", "deletes"),
    ("crontab -r", "deletes"),
    ("composer install", "executes"),
    ("dotnet test", "executes"),
    ("bundle install", "executes"),
    ("rake db:drop", "executes"),
    ("crontab -e", "executes"),
    ("crontab x", "executes"),
    ("crontab", "configures"),
    ("psql -c 'select 1'", "executes"),
    ("mysql -e 'select 1'", "executes"),
    ("sqlite3 x.db '.shell id'", "executes"),
    ("redis-cli flushall", "executes"),
    ("docker cp web:/etc/passwd .", "writes"),
]
HELD = [
    "docker run -v /:/host alpine cat /host/etc/shadow",
    "docker run --privileged alpine sh",
    "docker run --mount type=bind,src=/,dst=/h alpine sh",
    "docker run --pid=host alpine sh",
    "docker run --network=container:x/y alpine sh",
    "docker -H tcp://10.0.0.1 ps",
    "docker compose -f /tmp/x.yml up",
    "podman run -v /:/host alpine sh",
    "kubectl --kubeconfig /tmp/x get pods",
    "kubectl get secrets -o yaml",
    "kubectl get pods,secrets",
    "kubectl get secret/db",
    "kubectl get all -o yaml",
    "kubectl get pods -o custom-columns-file=/etc/shadow",
    "kubectl get pods -o go-template-file=/etc/shadow",
    "kubectl get --raw /api/v1/secrets",
    "kubectl apply -k https://example.com/x",
    "kubectl --as=admin get pods",
    "helm install x ./chart --post-renderer /tmp/x",
    "systemctl edit nginx",
    "systemctl link /tmp/x.service",
    "gh api -X DELETE /repos/x/y",
    "gh alias set x '!sh'",
    "aws s3 rm --recursive s3://x",
    "aws ec2 terminate-instances --instance-ids i-1",
    "aws secretsmanager get-secret-value --secret-id x",
    "aws s3api get-object --bucket b --key k --no-sign-request out",
    "aws ec2 describe-instances --filters file:///etc/shadow",
    "aws ec2 describe-instances --endpoint-url http://evil",
    "aws ec2 describe-instances --endpoint http://evil",
    "aws ec2 describe-instances --endpoint-url=http://evil",
    "aws --debug-to x ec2 describe-instances",
    "aws ec2 describe-instances $x",
    "aws ec2 describe-$x",
    "gcloud compute instances delete list",
    "gcloud --flags-file=/tmp/x compute instances list",
    "az vm delete -n x",
    "ansible all -m shell -a id",
]


@pytest.mark.parametrize("script", LOOKS)
def test_what_only_looks_reads_or_connects(script: str) -> None:
    reading = read_shell(script, AROUND)
    assert reading.complete, reading.unread
    assert {effect.verb for effect in reading.effects} <= {"reads", "connects"}


@pytest.mark.parametrize(("script", "verb"), CHANGES)
def test_what_changes_says_so(script: str, verb: str) -> None:
    reading = read_shell(script, AROUND)
    assert reading.complete, reading.unread
    assert verb in {effect.verb for effect in reading.effects}


@pytest.mark.parametrize("script", HELD)
def test_what_reaches_out_of_its_description_is_not_understood(script: str) -> None:
    assert not read_shell(script, AROUND).complete


READERS = sorted(
    words(
        "basename cat cksum comm cut dirname du expand fold groups head id join logname md5sum nl nproc od paste ptx realpath "
        "sha256sum stat sum tac tail tr tsort uname unexpand uniq users wc who"
    )
)
_PRINTED = re.compile(r"^\s+(?:-\w, )?(--[a-z][a-z0-9-]*)", re.MULTILINE)


@pytest.mark.parametrize("name", READERS)
def test_every_long_option_that_a_reader_prints_is_described(name: str) -> None:
    """`--help` of GNU coreutils as a second opinion: an option of a pure reader that we forgot asks people for nothing."""
    grammar = programs().get(name)
    if grammar is None or grammar.by_name or not shutil.which(name):
        pytest.skip(f"{name} is not described in full, or not installed")
    printed = subprocess.run([name, "--help"], capture_output=True, text=True, check=False).stdout
    if "coreutils" not in printed:
        pytest.skip(f"this {name} is not that of GNU coreutils")
    assert set(_PRINTED.findall(printed)) - set(grammar.options) == set()


def test_an_option_that_is_not_described_would_be_seen() -> None:
    """Negative control of the test above."""
    assert _PRINTED.findall("  -r, --reverse   turn round\n      --frobnicate=X  more") == [
        "--reverse",
        "--frobnicate",
    ]
