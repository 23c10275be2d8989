"""An endpoint that speaks Sentry's protocol: an app that reports to Sentry is healed by a change of its DSN."""
