"""Raw content -> Reading. Pure: no network, no file is opened, the same input gives the same reading.

`read(content, around)` is the one entry point. It never raises for content that it does not understand: it answers
with `complete=False` and says which bytes and why (promise 2).
"""
