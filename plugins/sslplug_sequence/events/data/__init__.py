"""The events plugin's data sets: ``DATA`` is the table a recipe's ``data.name`` chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_sequence.events.data import builders as b
from sslplug_sequence.events.data import options as o
from sslplug_sequence.events.data import own

DATA: Mapping[str, Component] = MappingProxyType(
    {
        "shoppers": Component(o.ShopperOptions, b.build_shoppers, "synthetic: self-exciting purchases, four customer types"),
        "files": Component(
            o.FileOptions,
            own.build_files,
            "your own events: one long table, Parquet or CSV, and labels",
            faults=own.faults_of_files,
        ),
        "physionet2012": Component(
            o.PhysionetOptions, b.build_physionet, "8,000 intensive-care stays of 48 hours; in-hospital death"
        ),
        "adfa_ld": Component(o.AdfaOptions, b.build_adfa, "5,951 traces of system calls, 746 of them attacks"),
        "stackoverflow": Component(
            o.PointProcessOptions, b.point_process("stackoverflow"), "badges of 4,468 users, 22 types; what comes next"
        ),
        "book_order": Component(
            o.PointProcessOptions, b.point_process("book_order"), "orders of a stock, buy or sell; what comes next"
        ),
        "age": Component(o.AgeOptions, b.build_age, "card transactions, four age groups (published files)"),
        "gender": Component(o.GenderOptions, b.build_gender, "card transactions, gender (published files)"),
        "rosbank": Component(o.RosbankOptions, b.build_rosbank, "card transactions, churn (published files)"),
    }
)

__all__ = ["DATA"]
