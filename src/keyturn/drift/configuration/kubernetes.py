"""Kubernetes objects, as JSON or YAML: one, several documents, or a List (`kubectl get … -o yaml`).

- What the API server writes by itself (status, uid, versions, managed fields) says nothing; nor does a field that comes new with the
  default that the API defines for it.
- Values of Secrets are keyed digests; annotations that repeat the whole object are left out.

Source of the defaults: Kubernetes API reference, core/v1 and apps/v1 ("Defaults to …").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from keyturn.drift.configuration.reading import (
    Configuration,
    ConfigurationMalformed,
    Hiding,
    bounded,
    counted,
    fields,
    table,
)
from keyturn.drift.patches import Normal

NORMAL = Normal(
    volatile=(
        "status", "status.*", "metadata.uid", "metadata.resourceVersion", "metadata.generation", "metadata.creationTimestamp",
        "metadata.managedFields*", "metadata.selfLink", 'metadata.annotations."kubectl.kubernetes.io/last-applied-configuration"',
        'metadata.annotations."deployment.kubernetes.io/revision"', "spec.clusterIP", "spec.clusterIPs*",
        'metadata.annotations."kubectl.kubernetes.io/restartedAt"',
    ),
    defaults=(
        ("*terminationGracePeriodSeconds", (30,)), ("*dnsPolicy", ("ClusterFirst",)), ("*restartPolicy", ("Always",)),
        ("*schedulerName", ("default-scheduler",)), ("*terminationMessagePath", ("/dev/termination-log",)),
        ("*terminationMessagePolicy", ("File",)), ("*imagePullPolicy", ("IfNotPresent", "Always")), ("*protocol", ("TCP",)),
        ("spec.progressDeadlineSeconds", (600,)), ("spec.revisionHistoryLimit", (10,)), ("spec.strategy.type", ("RollingUpdate",)),
        ("spec.strategy.rollingUpdate.max*", ("25%",)), ("spec.replicas", (1,)), ("spec.type", ("ClusterIP",)),
        ("spec.sessionAffinity", ("None",)), ("spec.internalTrafficPolicy", ("Cluster",)), ("spec.ipFamilyPolicy", ("SingleStack",)),
        ("spec.ipFamilies*", ("IPv4",)), ("*Probe.failureThreshold", (3,)), ("*Probe.periodSeconds", (10,)),
        ("*Probe.successThreshold", (1,)), ("*Probe.timeoutSeconds", (1,)), ("*defaultMode", (420,)), ("*serviceAccount", ("default",)),
        ("*serviceAccountName", ("default",)), ("*apiGroup", ("rbac.authorization.k8s.io",)), ("*scheme", ("HTTP",)),
    ),
)  # fmt: skip
_WHAT = "Kubernetes object"


class _Loader(yaml.SafeLoader):
    """YAML without its traps: no aliases (they multiply), and a duplicate key is an error."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise ConfigurationMalformed("The YAML has aliases; write it out (`kubectl get -o yaml` does).")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, dict | list) or key in made:
                raise ConfigurationMalformed(f"The YAML says {str(key)[:80]!r} twice.")
            made[key] = self.construct_object(value_node, deep=True)
        return made


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    made: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return made


_Loader.add_constructor(
    "tag:yaml.org,2002:map",
    _mapping,
)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith((":timestamp", ":merge"))]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(data: bytes, hiding: Hiding) -> Configuration:
    """The objects in *data*. Raises `ConfigurationMalformed`, `TooLarge`."""
    bounded(data)
    state: dict[str, dict[str, Any]] = {}
    for one in _objects(data):
        name = _name(one)
        if name in state:
            raise ConfigurationMalformed(f"{name} is there twice.")
        known = {
            field: value
            for field, value in fields(_without(one, hiding), hiding).items()
            if not NORMAL.silent(field)
        }
        state[name] = known
    if not state:
        raise ConfigurationMalformed("There is no Kubernetes object in it.")
    return Configuration(counted(state), NORMAL)


def _objects(data: bytes) -> Iterator[Mapping[str, Any]]:
    try:
        documents = list(yaml.load_all(data, Loader=_Loader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigurationMalformed(f"This is neither YAML nor JSON: {str(error)[:200]}.") from error
    for one in documents:
        if one is None:
            continue
        body = table(one, _WHAT)
        if isinstance(body.get("items"), list) and str(body.get("kind", "")).endswith("List"):
            yield from (table(item, _WHAT) for item in body["items"])
        else:
            yield body


def _name(one: Mapping[str, Any]) -> str:
    meta = one.get("metadata")
    name = meta.get("name") if isinstance(meta, Mapping) else None
    if not isinstance(one.get("kind"), str) or not isinstance(name, str):
        raise ConfigurationMalformed("A Kubernetes object has a kind and a metadata.name.")
    space = table(meta, _WHAT).get("namespace")
    group = str(one.get("apiVersion", "")).rpartition("/")[0]
    kind = f"{one['kind']}.{group}" if group and not group.startswith(("apps", "batch")) else one["kind"]
    return "/".join([kind, *([str(space)] if space else []), name])


def _without(one: Mapping[str, Any], hiding: Hiding) -> dict[str, Any]:
    body = {key: value for key, value in one.items() if key not in ("status", "apiVersion", "kind")}
    meta = body.get("metadata")
    if isinstance(meta, Mapping):
        noted = meta.get("annotations")
        notes = (
            {k: v for k, v in noted.items() if "last-applied-configuration" not in str(k)}
            if isinstance(noted, Mapping)
            else None
        )
        body["metadata"] = {
            k: v for k, v in meta.items() if k not in ("name", "namespace", "annotations", "managedFields")
        }
        if notes:
            body["metadata"]["annotations"] = notes
    if one.get("kind") == "Secret":
        for part in ("data", "stringData"):
            if isinstance(body.get(part), Mapping):
                body[part] = {key: hiding.value(value) for key, value in body[part].items()}
    return body
