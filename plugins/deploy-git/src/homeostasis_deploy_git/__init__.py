"""Deployers that end in files: the working tree the app runs from, and a branch for review.

`homeostasis_deploy_git.working_tree` writes and restores the files; `homeostasis_deploy_git.branch` commits through
git's plumbing (`homeostasis_deploy_git.git`) with the message of `homeostasis_deploy_git.message`.
"""
