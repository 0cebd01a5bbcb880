"""Programs whose words are a language of their own: one function each, `(grammar, arguments, call) -> None`."""

from __future__ import annotations

from collections.abc import Callable

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.special.archives import dd, jar, unzip
from keyturn.readers.shell.special.awk import awk
from keyturn.readers.shell.special.aws import aws
from keyturn.readers.shell.special.builtins import (
    cd,
    chmod,
    date,
    echo,
    kill,
    pager,
    printf,
    ps,
    set_options,
    source,
)
from keyturn.readers.shell.special.conditions import test
from keyturn.readers.shell.special.cpio import cpio
from keyturn.readers.shell.special.find import find
from keyturn.readers.shell.special.git import git_config
from keyturn.readers.shell.special.interpreters import perl
from keyturn.readers.shell.special.jq import jq
from keyturn.readers.shell.special.remote import rsync, scp, ssh
from keyturn.readers.shell.special.schedules import crontab
from keyturn.readers.shell.special.sed import sed
from keyturn.readers.shell.special.splitting import csplit, split
from keyturn.readers.shell.special.tar import tar
from keyturn.readers.shell.special.wrappers import any_words, env, shell, sudo, watch, xargs
from keyturn.readers.shell.special.zip import zip_files

SPECIALS: dict[str, Callable[[Grammar, list[Argument], Call], None]] = {
    "any": any_words,
    "awk": awk,
    "aws": aws,
    "cd": cd,
    "chmod": chmod,
    "cpio": cpio,
    "crontab": crontab,
    "csplit": csplit,
    "date": date,
    "dd": dd,
    "echo": echo,
    "env": env,
    "find": find,
    "git-config": git_config,
    "jar": jar,
    "jq": jq,
    "kill": kill,
    "pager": pager,
    "perl": perl,
    "printf": printf,
    "ps": ps,
    "rsync": rsync,
    "scp": scp,
    "sed": sed,
    "set": set_options,
    "sh": shell,
    "source": source,
    "split": split,
    "ssh": ssh,
    "sudo": sudo,
    "tar": tar,
    "test": test,
    "unzip": unzip,
    "watch": watch,
    "xargs": xargs,
    "zip": zip_files,
}

__all__ = ["SPECIALS"]
