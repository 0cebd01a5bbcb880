"""Every follower of the log, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable

from keyturn.service.artefacts import Retaining
from keyturn.service.core import Core
from keyturn.service.eroding import Eroding
from keyturn.service.finding_follower import FindingFollower
from keyturn.service.folder_scans import FolderScans
from keyturn.service.following import Follower
from keyturn.service.measuring import Measuring
from keyturn.service.mentioned import Mentioning
from keyturn.service.noticing import Noticing
from keyturn.service.practising import Practising
from keyturn.service.ratchets import Ratcheting
from keyturn.service.same_places import SamePlaces
from keyturn.service.sealing import Sealing
from keyturn.service.secret_files import SecretFiles
from keyturn.service.sigma_rules import SigmaFollower
from keyturn.service.silence import Silence
from keyturn.service.unapplied import Unapplied
from keyturn.service.widening import Widening

FOLLOWERS: tuple[Callable[[Core], Follower], ...] = (
    Retaining,
    FolderScans,
    SecretFiles,
    Ratcheting,
    Eroding,
    FindingFollower,
    Measuring,
    Widening,
    Silence,
    Noticing,
    SamePlaces,
    Mentioning,
    Unapplied,
    SigmaFollower,
    Practising,
    Sealing,
)
"""Each is made once a server."""
