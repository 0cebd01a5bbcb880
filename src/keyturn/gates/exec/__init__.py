"""The exec gate: every `execve` of an agent's process tree waits for a decision."""
