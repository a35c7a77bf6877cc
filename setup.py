"""A wheel has the options in `launch/conf`; everything else stands in pyproject.toml."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class WithOptions(build_py):
    """Of an editable installation the checkout has them."""

    def run(self) -> None:
        """Build, and copy conf/."""
        super().run()
        if not self.editable_mode:
            copytree("conf", Path(self.build_lib, "launch", "conf"), dirs_exist_ok=True)


setup(cmdclass={"build_py": WithOptions})
