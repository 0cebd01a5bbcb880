"""`keyturn review`: the queue on a terminal. `queue`, `gesture` and `guard` are pure; `screen` and `plain` show them."""
