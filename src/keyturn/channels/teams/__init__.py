"""Microsoft Teams: cards through a Workflows webhook, which lead to the page, and through a bot, which takes clicks."""

from keyturn.channels.teams.bot import TeamsBot
from keyturn.channels.teams.workflow import TeamsWorkflow

__all__ = ["TeamsBot", "TeamsWorkflow"]
