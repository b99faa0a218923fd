"""VIA's project: regions with a choice of classes, and where the pictures are."""

import json

from labelled_sets import make_pictures, write_set
from maskzoo.datasets.importers.convert import convert_dataset


def test_a_project_has_regions_a_choice_of_classes_and_the_folder_of_pictures(tmp_path):
    pictures = make_pictures()
    file = write_set(tmp_path / "set", pictures)
    made = convert_dataset(file, tmp_path / "out", to="via")
    content = json.loads((tmp_path / "out/via_region_data.json").read_text())
    assert content["_via_settings"]["core"]["default_filepath"] == f"{tmp_path}/set/"
    choice = content["_via_attributes"]["region"]["class"]
    assert choice["type"] == "dropdown" and list(choice["options"]) == ["cat", "dog", "big tree"]
    metadata = content["_via_img_metadata"]
    assert content["_via_image_id_list"] == list(metadata)
    assert [entry["filename"] for entry in metadata.values()] == list(pictures)
    key, entry = list(metadata.items())[1]
    assert key == f"in/b.jpg{(tmp_path / 'set/in/b.jpg').stat().st_size}"
    house, _, *trees = entry["regions"]
    assert house["region_attributes"] == {"class": "dog", "colour": "red & <blue>", "age": "3"}
    assert house["shape_attributes"] == {
        "name": "polygon",
        "all_points_x": [20.5, 30.25, 30.25, 25, 20.5],
        "all_points_y": [30, 30, 38.5, 35, 38.5],
    }
    assert [tree["region_attributes"] for tree in trees] == [{"class": "big tree", "group_id": "108"}] * 2
    crowd = next(iter(list(metadata.values())[2]["regions"]))
    assert crowd["region_attributes"]["iscrowd"] == "true"
    assert {"age", "colour", "group_id", "iscrowd"} <= content["_via_attributes"]["region"].keys()
    assert made.notes == (
        f"Open VIA 2, then Project > Load {tmp_path}/out/via_region_data.json, with the pictures in {tmp_path}/set",
    )
