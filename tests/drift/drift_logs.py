"""Lines as the targets write them. Formats: PostgreSQL 15 with pgaudit 1.7, auditd 3, CloudTrail 1.09, audit.k8s.io/v1, GitHub."""

from __future__ import annotations

import json
from pathlib import Path

TAG = "kt1.a_01m8k4vvdd23z7gqn7b5d2q3rs.0123456789abcdef"

LOGS = Path(__file__).parent / "logs"
PG_STDERR = (LOGS / "pgaudit.log").read_text()
AUDITD = (LOGS / "audit.log").read_text()


def cloudtrail() -> bytes:
    """Two calls: one of an assumed role with a source identity, one of a user with an application id; one broken record."""
    role = "arn:aws:sts::123456789012:assumed-role/agents/run-7"
    issuer = {"type": "Role", "arn": "arn:aws:iam::123456789012:role/agents", "userName": "agents"}
    first = {
        "eventVersion": "1.09", "eventTime": "2026-11-29T10:02:12Z", "eventSource": "s3.amazonaws.com", "eventName": "PutObject",
        "userIdentity": {"type": "AssumedRole", "arn": role, "sessionContext": {"sessionIssuer": issuer, "sourceIdentity": TAG}},
        "requestParameters": {"bucketName": "exports", "key": "a.csv"}, "eventID": "1", "recipientAccountId": "123456789012",
        "resources": [{"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::exports/a.csv"}], "userAgent": "aws-cli/2.15",
    }  # fmt: skip
    second = {
        **first, "eventTime": "2026-11-29T10:02:13Z", "eventSource": "iam.amazonaws.com", "eventName": "CreateAccessKey", "resources": None,
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/bot", "userName": "bot"}, "errorCode": "AccessDenied",
        "userAgent": f"Boto3/1.34 md/Botocore app/{TAG}", "requestParameters": {"userName": "root"},
    }  # fmt: skip
    return json.dumps({"Records": [first, second, {"eventSource": "x"}]}).encode()


def kubernetes() -> bytes:
    """A request in three stages, a watch, one with impersonation; one line that is cut."""
    event = {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "u1", "stage": "RequestReceived",
        "requestURI": "/api/v1/namespaces/shop/pods/web-1", "verb": "delete",
        "user": {"username": "system:serviceaccount:ci:agent", "groups": ["system:authenticated"]},
        "userAgent": "kubectl/v1.31", "objectRef": {"resource": "pods", "namespace": "shop", "name": "web-1", "apiVersion": "v1"},
        "requestReceivedTimestamp": "2026-11-29T10:02:12.123456Z", "stageTimestamp": "2026-11-29T10:02:12.200000Z",
    }  # fmt: skip
    done = {**event, "stage": "ResponseComplete", "responseStatus": {"code": 200}}
    acting = {"username": "dana", "extra": {"keyturn.dev/tag": [TAG]}}
    other = {
        **done,
        "auditID": "u2",
        "verb": "create",
        "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web-2"},
    }
    watch = {
        **event,
        "auditID": "u3",
        "verb": "watch",
        "stage": "ResponseStarted",
        "objectRef": {"resource": "secrets"},
    }
    lines = [
        event,
        done,
        {**other, "impersonatedUser": acting},
        watch,
        {**watch, "stage": "ResponseComplete"},
    ]
    return b"\n".join([json.dumps(one).encode() for one in lines] + [b'{"kind": "Event", "verb'])


def github() -> bytes:
    """As exported: an array."""
    return json.dumps(
        [
            {"@timestamp": 1795946532123, "action": "repo.create", "actor": "agent-bot", "org": "acme", "repo": "acme/shop",
             "user_agent": f"gate/1 {TAG}", "operation_type": "create", "_document_id": "x"},
            {"@timestamp": 1795946533000, "action": "protected_branch.destroy", "actor": "agent-bot", "org": "acme"},
            {"action": "no.time"},
        ],
        indent=1,
    ).encode()  # fmt: skip
