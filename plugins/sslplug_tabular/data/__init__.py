"""The tabular plugin's data sets: ``DATA`` is the table a recipe's ``data.name`` chooses from.

The task is called ``target`` where there is one target column, else as its column.
"""

from __future__ import annotations

from collections.abc import Mapping

from sslplug.contracts import Component
from sslplug_tabular.data.named import (
    build_adult,
    build_bank,
    build_car,
    build_jannis,
    embedded,
    one_file,
    split_arrays,
)
from sslplug_tabular.data.options import (
    AdultOptions,
    BankOptions,
    FileOptions,
    MemoryOptions,
    NamedOptions,
    TableOptions,
)
from sslplug_tabular.data.own import build_files, build_memory, faults_of_files

DATA: Mapping[str, Component] = {
    "breast_cancer": Component(
        NamedOptions,
        embedded("load_breast_cancer", "Breast cancer", "classification"),
        "569 tumours x 30, 2 classes; offline",
    ),
    "digits": Component(
        NamedOptions, embedded("load_digits", "Digits", "classification"), "1,797 x 64, 10 classes; offline"
    ),
    "wine": Component(NamedOptions, embedded("load_wine", "Wine", "classification"), "178 wines x 13, 3 classes; offline"),
    "diabetes_sklearn": Component(
        NamedOptions, embedded("load_diabetes", "Diabetes progression", "regression"), "442 patients x 10, numbers; offline"
    ),
    "adult": Component(AdultOptions, build_adult, "Adult income: 48,842 x 14, 2 classes, published test rows"),
    "california": Component(
        TableOptions, split_arrays("california"), "California housing: 20,640 x 8, numbers, published split"
    ),
    "jannis": Component(NamedOptions, build_jannis, "Jannis without its training rows: 30,145 x 54, 4 classes"),
    "bank": Component(BankOptions, build_bank, "Bank marketing: 45,211 x 16, 2 classes"),
    "credit-g": Component(NamedOptions, one_file("credit-g", "class"), "German credit: 1,000 x 20, 2 classes"),
    "jungle": Component(NamedOptions, one_file("jungle", "class"), "Jungle chess: 44,819 x 6, 3 classes"),
    "blood": Component(NamedOptions, one_file("blood", "Class"), "Blood transfusion: 748 x 4, 2 classes"),
    "car": Component(NamedOptions, build_car, "Car evaluation: 1,728 x 6, 4 classes"),
    "heart": Component(NamedOptions, one_file("heart", "HeartDisease"), "Heart failure: 918 x 11, 2 classes"),
    "diabetes": Component(NamedOptions, one_file("diabetes", "Outcome"), "Pima diabetes: 768 x 8, 2 classes"),
    "helena": Component(TableOptions, split_arrays("helena"), "Helena: 65,196 x 27, 100 classes, published split"),
    "higgs": Component(TableOptions, split_arrays("higgs"), "Higgs small: 98,050 x 28, 2 classes, published split"),
    "aloi": Component(TableOptions, split_arrays("aloi"), "ALOI: 108,000 x 128, 1,000 classes, published split"),
    "files": Component(
        FileOptions, build_files, "your own table: CSV, Parquet, Arrow, Feather or ARFF", faults=faults_of_files
    ),
    "memory": Component(MemoryOptions, build_memory, "a table in memory: array, data frame or pyarrow table"),
}

__all__ = ["DATA"]
