"""Who is it: the credential of a request, its principal, and what both may do."""
