#!/usr/bin/env bash
# hotcoco 1.3.0: its confusion matrix counts a detection on a crowd as a mistake, which its average precision forgives.
#
# COCO's evaluation leaves a detection out that falls into a region annotated as a crowd (iscrowd 1): it is neither
# found nor false. COCOeval.evaluate() does so. COCOeval.confusion_matrix() of the same object, on the same annotations
# and detections, does not: the detection stands in the background row, among false positives. Its documentation names
# no crowds. A detector with many crowds in its pictures so has false positives there that its AP does not know.
#
# Seen: one object found and one detection that is the crowd's box: AP 1.0, and 1 in the background row.
# Ends with 0 while hotcoco behaves so, with 1 when it does not any more.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check hotcoco==1.3.0

cd "$place"
cat > crowd.py <<'END'
from hotcoco import COCO, COCOeval


def annotation(number, box, crowd):
    return {"id": number, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": crowd}


OBJECT, CROWD = [0, 0, 20, 20], [40, 40, 50, 50]
truth = COCO(
    {
        "images": [{"id": 1, "width": 100, "height": 100}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [annotation(1, OBJECT, 0), annotation(2, CROWD, 1)],
    }
)
found = truth.loadRes(
    [{"image_id": 1, "category_id": 1, "bbox": box, "score": score} for box, score in ((OBJECT, 0.9), (CROWD, 0.8))]
)
scored = COCOeval(truth, found, "bbox")
scored.evaluate()
scored.accumulate()
scored.summarize()
matrix = COCOeval(truth, found, "bbox").confusion_matrix()["matrix"].tolist()
print("AP", scored.stats[0], "confusion", matrix)
assert scored.stats[0] > 0.999, "the detection on the crowd costs precision now"
assert matrix == [[1, 0], [1, 0]], "the confusion matrix has changed"
END
"$place/venv/bin/python" crowd.py
