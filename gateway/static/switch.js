// The token leaves the address and the history while its user decides.
history.replaceState(null, "", location.pathname);
