"""Pages on the API port: sign in, join, approve logins, look at builds."""
