"""Building a service: settings, app, errors, database, HTTP, identity and logs, nothing else.

Admission rule: a file belongs here when at least three services use it, it names nothing of the
product, imports nothing of ours and has a unit test of its own. At most eight files and 450 lines;
a new file pushes one out or comes with a decision record.
"""
