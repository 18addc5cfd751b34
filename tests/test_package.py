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
