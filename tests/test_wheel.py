import subprocess
import sys
from pathlib import Path

from support import tiny

ROOT = Path(__file__).parents[1]


def test_a_wheel_installed_elsewhere_runs_a_study_from_another_folder(cli, tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels, site, work = tmp_path / "wheels", tmp_path / "site", tmp_path / "work"
    work.mkdir()
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT)]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = wheels.glob("ablation-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True)

    done = cli("-m", *tiny(1), "plain=true,false", cwd=work, PYTHONPATH=str(site))

    assert done.returncode == 0, done.stderr
    assert (work / "runs" / "main" / "report.md").exists()
    where = "import ablation.config as c; print(c.__file__, c.CONF_DIR)"
    loaded = cli(cwd=work, PYTHONPATH=str(site), code=where).stdout
    assert loaded.split() == [
        str(site / "ablation" / "config.py"),
        str(site / "ablation" / "conf"),
    ]
