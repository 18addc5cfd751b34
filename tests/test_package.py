"""What `import ablation` offers to a notebook."""

import pytest

import ablation


@pytest.mark.parametrize("name", ablation.__all__)
def test_every_name_that_the_package_offers_is_there(name):
    assert getattr(ablation, name).__name__ == name


def test_a_study_is_loaded_from_its_folder(stored_run, tmp_path):
    stored_run()
    study = ablation.load(tmp_path / "main")
    assert isinstance(study, ablation.Study) and len(study.runs) == 1


def test_what_it_does_not_offer_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        ablation.lod  # noqa: B018


def test_a_notebook_shows_answer_certificate_and_table(stored_run, tmp_path):
    for plain, accuracy in (("true", 0.25), ("false", 0.75)):
        stored_run(f"plain={plain}", val_accuracy=accuracy, classes=["<b>", *map(str, range(9))])
    shown = ablation.load(tmp_path / "main")._repr_html_()
    for text in ("50.00 points higher", "Equal budget: PASS", "25.00 (n=1)", "+50.00 (n=1)"):
        assert text in shown
    assert "<script" not in shown and "<b>" not in shown
