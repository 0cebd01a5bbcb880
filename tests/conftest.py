"""What all tests share: how hypothesis searches. Everything else lies beside the tests that use it."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SHARED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}

settings.register_profile("local", max_examples=60, **_SHARED)
settings.register_profile("ci", max_examples=60, derandomize=True, print_blob=True, **_SHARED)
settings.register_profile("long", max_examples=2000, print_blob=True, **_SHARED)

# The same run gives the same result in CI; `make test-long` searches further, each time elsewhere.
settings.load_profile(
    os.environ.get("KEYTURN_HYPOTHESIS")
    or ("ci" if os.environ.get("CI", "").lower() in ("1", "true") else "local")
)
