"""The hook implementations: one module for each deployer, because a deployer's name is its plugin's name."""
