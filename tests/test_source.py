import importlib.util
import subprocess
import sys

import pytest

from ablation.config import UserError
from ablation.source import (
    check_together,
    digest,
    digests,
    is_raised_in,
    libraries,
    load,
    local_modules,
    locate,
    user_error,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder; what a test imports is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def _write(folder, **files):
    """Writes files whose names are spelled with `__` for a slash."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/').replace('//init/', '/__init__')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _package(folder, **files):
    _write(folder, **files)
    for name in ("nets", "nets/blocks"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "__init__.py").write_text("")


NET = "def build(input_shape, classes):\n    return input_shape, classes\n"


def test_a_file_is_imported_by_its_stem_from_its_folder(folder):
    _write(folder, mine__my_nets=NET)
    for name in ("mine/my_nets.py:build", f"{folder}/mine/my_nets.py:build"):
        located = locate(name)
        assert (located.module, located.root) == ("my_nets", folder / "mine")
        assert (located.path, located.function) == (folder / "mine/my_nets.py", "build")


def test_a_file_in_a_package_is_imported_by_its_dotted_name(folder):
    _package(folder, nets__blocks__deep=NET)
    by_file, by_name = locate("nets/blocks/deep.py:build"), locate("nets.blocks.deep:build")
    assert by_file == by_name
    assert (by_file.module, by_file.root) == ("nets.blocks.deep", folder)


def test_a_package_and_a_namespace_hold_networks_too(folder):
    _package(folder, space__plain=NET)
    (folder / "nets/__init__.py").write_text(NET)
    assert locate("nets:build") == locate("nets/__init__.py:build")
    assert locate("space.plain:build").path == folder / "space/plain.py"


def test_an_installed_network_is_found_and_only_its_own_package_is_local(folder, monkeypatch):
    installed = folder / "lib/site-packages"
    _write(
        installed, zoo__nets=f"from . import parts\nimport other\n{NET}", zoo__parts="", other=""
    )
    _write(installed, zoo____init__="")
    _write(folder, net=f"import zoo.nets\n{NET}")
    monkeypatch.syspath_prepend(str(installed))
    located = locate("zoo.nets:build")
    assert located.path == installed / "zoo/nets.py"
    assert set(digests(located)) == {"zoo", "zoo.nets", "zoo.parts"}
    assert set(digests(locate("net.py:build"))) == {"net"}


def test_a_module_is_found_without_importing_its_package(folder):
    _write(folder, pack____init__="raise SystemExit", pack__net=NET)
    assert set(digests(locate("pack.net:build"))) == {"pack", "pack.net"}
    assert "pack" not in sys.modules


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("my_nets.py", ["names no function", "path/to/file.py:name"]),
        ("my_nets.py:", ["is not the name of a function"]),
        (":build", ["names no function"]),
        ("none.py:build", ["There is no file", "none.py"]),
        ("notes/my_nets.txt:build", ["is not a .py file"]),
        ("no.such.module:build", ["There is no module 'no.such.module'"]),
        ("my-nets:build", ["'my-nets' is not the name of a module"]),
        ("my_nets.py:biuld", ["my_nets.py has no function 'biuld'", "its functions are build"]),
        ("broken.py:build", ["broken.py, line 2: SyntaxError"]),
        ("null.py:build", ["null"]),
        ("latin.py:build", ["latin.py", "encoding"]),
        ("encoding.py:build", ["encoding"]),
        ("statistics.py:build", ["has the name of a module of Python itself"]),
        ("my.nets.py:build", ["Python imports nothing of the name 'my.nets'; rename it"]),
        ("os:getcwd", ["'os' is a module of Python itself", "path/to/file.py:name"]),
    ],
)
def test_what_cannot_be_found_or_read_is_told_in_one_line(name, words, folder):
    _write(folder, my_nets=NET, broken="x = 1\ndef build(:\n", null="x\0", statistics=NET)
    (folder / "latin.py").write_bytes("x = 'é'".encode("latin-1"))
    (folder / "my.nets.py").write_text(NET)
    (folder / "encoding.py").write_text("# coding: nonsense\nx = 1\n")
    with pytest.raises(UserError) as raised:
        locate(name)
    assert "\n" not in str(raised.value)
    for word in words:
        assert word in str(raised.value)


def test_local_modules_are_all_that_is_imported_directly_or_not(folder):
    _package(
        folder,
        nets__main=(
            "import os, numpy, missing_module, keras\n"
            "from .blocks import *\n"
            "from . import sibling\n"
            "from .blocks.deep import Deep as D\n"
            "def build():\n    import helper\n    from space import far\n" + NET
        ),
        nets__sibling="from .. import outside\nimport nets.main\n",
        nets__blocks__deep="Deep = 1\n",
        nets__blocks__listed="",
        nets__blocks__unlisted="",
        nets__unused="",
        helper="import importlib\nimportlib.import_module('by_call')\n",
        by_call="",
        space__far="",
        unused="",
    )
    (folder / "nets/blocks/__init__.py").write_text('__all__ = ["listed"]\n')
    located = locate("nets/main.py:build")
    assert sorted(str(path.relative_to(folder)) for path in local_modules(located)) == [
        "by_call.py",
        "helper.py",
        "nets/__init__.py",
        "nets/blocks/__init__.py",
        "nets/blocks/deep.py",
        "nets/blocks/listed.py",
        "nets/main.py",
        "nets/sibling.py",
        "space/far.py",
    ]
    assert set(digests(located)) >= {"nets.main", "nets.blocks.deep", "space.far", "helper"}


def test_modules_elsewhere_on_the_path_are_local_and_this_package_is_not(folder, monkeypatch):
    _write(folder, elsewhere__tools="", mine__net=f"import tools, ablation.networks.layers\n{NET}")
    monkeypatch.syspath_prepend(str(folder / "elsewhere"))
    assert set(digests(locate("mine/net.py:build"))) == {"net", "tools"}


def test_python_itself_comes_before_a_file_of_the_same_name(folder):
    _write(folder, net=f"import statistics\n{NET}", statistics="")
    assert set(digests(locate("net.py:build"))) == {"net"}


def test_encodings_are_those_that_the_file_declares(folder):
    (folder / "net.py").write_bytes(b"# coding: latin-1\nx = '\xe9'\nimport other\n" + NET.encode())
    (folder / "other.py").write_bytes(b"\xef\xbb\xbfx = 1\n")
    plain = locate("net.py:build")
    before = digests(plain)
    assert set(before) == {"net", "other"}
    (folder / "net.py").write_text(f"x = 'é'\nimport other\n{NET}")
    assert digests(plain) == before


def _digest_of(folder, text):
    (folder / "net.py").write_text(text)
    return digest(locate("net.py:build"))


CODE = '''"""What it is."""
import helper
def build(input_shape, classes, *, se: bool = True):
    """Builds."""
    return helper.value if se else u"x"
'''


def test_comments_layout_and_docstrings_change_no_digest_and_code_does(folder):
    _write(folder, helper="value = 1\n")
    before = _digest_of(folder, CODE)
    same = CODE.replace("Builds.", "Makes.").replace("import helper", "# Why.\n\nimport helper\n")
    assert _digest_of(folder, same) == before
    assert _digest_of(folder, CODE.replace('    """Builds."""\n', "")) == before
    assert _digest_of(folder, CODE.replace('u"x"', "('x')")) == before
    changes = [("= True", "= False"), ("bool", "int"), ('"x"', '"y"'), ("if se", "if not se")]
    different = {_digest_of(folder, CODE.replace(*change)) for change in changes}
    assert len(different | {before}) == len(changes) + 1
    _write(folder, helper="value = 2\n")
    assert _digest_of(folder, CODE) != before


def test_a_digest_tells_a_constant_from_the_tree_around_it(folder):
    texts = ["f(None)", "f()", "f('None')", "f([])", "f(0)", "f(0.0)", "f(False)", "f({**a})"]
    assert len({_digest_of(folder, f"{NET}{text}\n") for text in texts}) == len(texts)


def test_a_digest_is_the_same_wherever_the_files_lie_and_for_every_process(folder):
    _write(folder, helper="value = 1\n", there__helper="value = 1\n", there__net=CODE)
    here = _digest_of(folder, CODE)
    assert digest(locate("there/net.py:build")) == here
    script = "from ablation.source import *; print(digest(locate('net.py:build')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == here, done.stderr


def test_a_digest_is_one_recorded_before(folder):
    # A change of it would train every study of such networks anew.
    _write(folder, helper="value = 1\n")
    assert _digest_of(folder, CODE).startswith("5bc5fd33d6e71a85")


def test_a_long_sum_is_no_deep_recursion(folder):
    assert _digest_of(folder, NET + "x = " + " + ".join("a" * 900) + "\n")


def test_load_imports_what_was_located(folder):
    _package(folder, nets__main=f"from . import sibling\n{NET}", nets__sibling="")
    assert load(locate("nets/main.py:build"))("shape", 3) == ("shape", 3)
    _write(folder, mine__my_nets=f"import beside, outside\n{NET}", mine__beside="", outside="")
    assert load(locate("mine/my_nets.py:build"))("shape", 3) == ("shape", 3)


def test_load_refuses_a_name_that_another_module_has(folder):
    _write(folder, one__same_net=NET, two__same_net=NET)
    load(locate("one/same_net.py:build"))
    with pytest.raises(UserError, match=r"'same_net' is .*/one/same_net.py already"):
        load(locate("two/same_net.py:build"))


def test_load_refuses_a_helper_whose_name_another_module_has(folder):
    _write(folder, one__a=f"import common\n{NET}", two__b=f"import common\n{NET}")
    _write(folder, one__common="K = 3", two__common="K = 9")
    load(locate("one/a.py:build"))
    with pytest.raises(UserError, match=r"b.py .* 'common' is .*/one/common.py already; give com"):
        load(locate("two/b.py:build"))


def test_functions_of_one_run_may_not_import_two_modules_of_one_name(folder, config):
    helper = "from common import K\n"
    _write(folder, one__a=f"{helper}{NET}", two__b=f"{helper}def f(labels, logits): ...\n")
    _write(folder, one__common="K = 3", two__common="K = 9")
    together = config("arch=one/a.py:build", "recipe.loss=two/b.py:f")
    with pytest.raises(UserError, match=r"'common' is .*/one/common.py to one of a.py:build, b.py"):
        check_together(together)
    (folder / "two" / "common.py").unlink()
    (folder / "two" / "common.py").symlink_to(folder / "one" / "common.py")
    check_together(together)


def test_load_refuses_what_cannot_be_called(folder):
    _write(folder, net="build = 3\n")
    with pytest.raises(UserError, match=r"net.py has no function 'build'"):
        load(locate("net.py:build"))


def _error(call, *arguments):
    with pytest.raises(Exception) as raised:
        call(*arguments)
    return raised.value


def test_an_error_is_told_with_the_users_own_line(folder):
    _write(
        folder,
        raising="import helper\ndef build(x):\n    return helper.deep(x)\n",
        helper="def deep(x):\n\n    return sorted(x, key=int)\n",
    )
    located = locate("raising.py:build")
    files = local_modules(located)
    error = _error(load(located), ["a\nb"])
    assert user_error(error, files).startswith("helper.py, line 3: ValueError: invalid literal")
    assert "\n" not in user_error(error, files)
    assert user_error(error, [located.path]).startswith("raising.py, line 3: ValueError")
    assert user_error(ValueError(), files) == "ValueError"


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nsys.path.insert(0, FOLDER)\nimport far\n",
        "import importlib\nimportlib.import_module('ne' + 'ar')\n",
    ],
)
def test_a_module_that_reading_the_code_does_not_find_is_refused(code, folder):
    code = code.replace("FOLDER", repr(str(folder / "lib")))
    _write(folder, user=f"{code}{NET}", near="", lib__far="")
    with pytest.raises(
        UserError, match=r"user\.py imports (near|far) from .*Import it by its name"
    ):
        load(locate("user.py:build"))


def test_a_module_that_reading_the_code_finds_is_none_of_them(folder):
    _package(folder, nets__deep="from . import blocks\n" + NET, nets__blocks__conv="")
    (folder / "nets" / "blocks" / "__init__.py").write_text("from nets.blocks import conv\n")
    _write(folder, user=f"import json.tool\nfrom nets import deep\nimport numpy.fft\n{NET}")
    load(locate("user.py:build"))


@pytest.mark.parametrize(
    ("line", "refuses"),
    [
        ('raise ValueError("no such net")', True),
        ('raise ValueError(\n        "no such net"\n    )', True),
        ('if classes: raise ValueError("no such net")', True),
        ("height, width = input_shape", False),
        ('int("x")', False),
        ('__import__("json").loads("{")', False),
    ],
)
def test_a_refusal_is_what_the_code_itself_raises(line, refuses, folder):
    _write(folder, refusing=f"def build(input_shape, classes):\n    {line}\n")
    located = locate("refusing.py:build")
    try:
        load(located)((1, 2, 3), 2)
    except ValueError as error:
        assert is_raised_in(error, local_modules(located)) == refuses
    else:
        raise AssertionError


def test_an_error_on_import_has_its_line_too(folder):
    _write(folder, undefined=f"x = 1\ny = z\n{NET}", late="def build(x):\n    import bad\n")
    undefined = locate("undefined.py:build")
    message = user_error(_error(load, undefined), [undefined.path])
    assert message == "undefined.py, line 2: NameError: name 'z' is not defined"
    late = locate("late.py:build")
    _write(folder, bad="x = 1\n\nx = = 2\n")
    message = user_error(_error(load(late), 1), [late.path])
    assert message.startswith("bad.py, line 3: SyntaxError")
    with pytest.raises(UserError, match=r"bad.py, line 3: SyntaxError"):
        local_modules(late)


def test_what_keras_adds_to_an_error_of_a_layer_is_left_out():
    error = RuntimeError(
        "Exception encountered when calling L.call().\n\n\x1b[1mmine\x1b[0m\n\nArgs"
    )
    assert user_error(error, []) == "RuntimeError: mine"


class _Hook:
    """Finds one package by its name, as `pip install -e` lets Python do."""

    def __init__(self, name, folder):
        self._name, self._folder = name, folder

    def find_spec(self, name, path=None, target=None):
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(
            name, self._folder / "__init__.py", submodule_search_locations=[str(self._folder)]
        )


def test_a_package_that_an_import_hook_finds_belongs_to_the_code(folder, monkeypatch):
    _write(folder, far__mylib__blocks="WIDTH = 3\n", far__mylib____init__="")
    (folder / "far/mylib/__init__.py").write_text("")
    _write(folder, nets="from mylib.blocks import WIDTH\n" + NET)
    before = digests(locate("nets.py:build"))
    assert set(before) == {"nets"}
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, _Hook("mylib", folder / "far/mylib")])
    seen = digests(locate("nets.py:build"))
    assert set(seen) == {"nets", "mylib", "mylib.blocks"}
    load(locate("nets.py:build"))
    (folder / "far/mylib/blocks.py").write_text("WIDTH = 4\n")
    assert digests(locate("nets.py:build"))["mylib.blocks"] != seen["mylib.blocks"]
    (folder / "far/mylib/own.py").write_text(NET)
    located = locate("mylib.own:build")
    assert (located.module, located.root) == ("mylib.own", folder / "far")
    assert located.path == folder / "far/mylib/own.py"


@pytest.mark.parametrize("code", ["sys.exit(0)", "raise SystemExit"])
def test_a_file_that_ends_the_program_is_told_with_its_line(folder, code):
    _write(folder, nets=f"import sys\n{NET}{code}\n")
    with pytest.raises(UserError, match=r"nets\.py, line 4: SystemExit.*below if __name__"):
        load(locate("nets.py:build"))


def test_libraries_are_what_is_neither_local_nor_pythons(folder):
    _package(folder, nets__blocks__deep="import einops.layers\nfrom os import path\n" + NET)
    _write(folder, mine="import keras, helper, ablation\nfrom nets.blocks import deep\n" + NET)
    _write(folder, helper="def late():\n    from timm import models\n")
    assert libraries(locate("mine.py:build")) == {"keras", "einops", "timm"}
