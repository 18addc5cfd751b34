"""What is on record of the controls of a study."""

from ablation.records import controls
from ablation.records.controls import Control


def test_a_lesion_of_other_weights_takes_the_place_of_the_earlier_one(tmp_path):
    def lesion(digest, of="plain-s0"):
        return Control("lesion", f"full-s0/lesions/{digest}", of, {"against": "full-s0"})

    sham = Control("sham", "full-draw1-s0", "full-s0")
    controls.put(tmp_path, [sham, lesion("11111111"), lesion("22222222", "small-s0")])
    controls.put(tmp_path, [sham, lesion("33333333")])
    found = {(one.kind, one.of): one.run for one in controls.controls(tmp_path)}
    assert len(controls.controls(tmp_path)) == len(found) == 3
    assert found["lesion", "plain-s0"] == "full-s0/lesions/33333333"
    assert found["lesion", "small-s0"] == "full-s0/lesions/22222222"
