"""Modules in which nothing but their imports changed, when files were moved or types were all that was imported.

They count as what they were before, so that nobody is told that code was edited which computes what it did.
"""

from __future__ import annotations

BEFORE = {  # digest now -> digest then
    "73e6e78ce48783e8": "0104055e30dde83c",  # data/_cifar.py
    "25b0da6801cde6f3": "6de13e85c87fa061",  # data/_decode.py
    "b379d678553af507": "177de8723a184911",  # data/check.py, where a type is imported for type checkers only
    "1c4f2286736bc560": "203668d39c7f7c74",  # data/content.py
    "1ffc1be906a0f083": "ec6112a13c776731",  # trial/parts.py
    "71b7250040674a6b": "50e525b2e1a58e28",  # trial/prepare.py
    "ea035113e6a43383": "b59294a941097611",  # trial/recorder.py
    "450c102869a6fe80": "76da1b9dffe13fc3",  # trial/teacher.py
    "67238f95d1e99a96": "dbec0e78ff294203",  # trial/teacher_weights.py
}
