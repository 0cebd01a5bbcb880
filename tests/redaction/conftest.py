from __future__ import annotations

import sys
from pathlib import Path

for folder in ("gates", "service", "channels"):
    sys.path.insert(0, str(Path(__file__).parent.parent / folder))
