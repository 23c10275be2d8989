"""Deployers that make a patch live in running workers.

`homeostasis_deploy_hotswap.workers` finds and calls them, `homeostasis_deploy_hotswap.hotswap` swaps function bodies
and `homeostasis_deploy_hotswap.reload` makes servers load the files anew. The other end, inside the app, is
`homeostasis.monitoring.control` and `homeostasis.monitoring.hotswap`.
"""
