"""The exec gate: every `execve` of a process tree waits for a decision (README.md)."""
