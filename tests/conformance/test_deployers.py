"""The founding deployers keep their contract."""

from __future__ import annotations

import homeostasis_deploy_git.plugin.branch
import homeostasis_deploy_git.plugin.patch_file
import homeostasis_deploy_git.plugin.working_tree
from homeostasis.testing import commit_all
from homeostasis.testing.conformance import DeployConformance


class TestWorkingTree(DeployConformance):
    name = "working-tree"
    plugin = homeostasis_deploy_git.plugin.working_tree


class TestWorkingTreeInGit(TestWorkingTree):
    def setup_project(self, project):
        commit_all(project.root)


class TestPatchFile(DeployConformance):
    name = "patch-file"
    plugin = homeostasis_deploy_git.plugin.patch_file

    def setup_project(self, project):
        commit_all(project.root)


class TestGitBranch(DeployConformance):
    name = "git-branch"
    plugin = homeostasis_deploy_git.plugin.branch

    def setup_project(self, project):
        commit_all(project.root)
