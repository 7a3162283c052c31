"""Follow what machines do for builds, and record it."""
