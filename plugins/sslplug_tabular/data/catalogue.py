"""The named data sets: where their files lie under the data root, and the digests that prove them."""

from __future__ import annotations

from collections.abc import Mapping

from sslplug.contracts import PublishedSet

_OPENML = "https://www.openml.org"
_RTDL = "https://github.com/yandex-research/rtdl-revisiting-models (the data archive of the paper)"
_SPLIT_ARRAYS = tuple(f"{kind}_{part}.npy" for kind in "Ny" for part in ("train", "val", "test"))


def _arrays(title: str, folder: str) -> PublishedSet:
    return PublishedSet(title, f"tabular/{folder}", {**dict.fromkeys(_SPLIT_ARRAYS), "info.json": None}, _RTDL)


SOURCES: Mapping[str, PublishedSet] = {
    "adult": PublishedSet(
        "Adult",
        "tabular/adult",
        {
            "adult.data.xz": "03c5722d4eaeaa2962f81284344def3c5150dadc6ddf841fcbb57f233371445c",
            "adult.test.xz": "9aa1e372c400292e1df12eeeee3920a61b992d9db09d64ed81651e75e4ef9eeb",
        },
        "https://archive.ics.uci.edu/dataset/2/adult",
    ),
    "california": PublishedSet(
        "California housing",
        "tabular/california_housing",
        {
            "N_train.npy": "a95dd08130733831b39e715abe14473ebb42feefa4c0aff311cdee6c5199b584",
            "N_val.npy": "af0c0400e4c18ea1fc1653fa23c203bbee5862756e67327b7a6d110f3de3c238",
            "N_test.npy": "249bdcd30a0bf3281ed83bbbe58233981b3cd5fc99bae1a6ae81a3eb16eb0313",
            "y_train.npy": "627d26ac933715fc92bbc369b34d92b9d31e242c764d961f3bd6ab2c9f9b9e09",
            "y_val.npy": "a6480088064d68a0ac50af20f27cfa0834127dfe8a0afbca6823709d4b7cd652",
            "y_test.npy": "93bfc0e8af7908026ab9d20cc3798579d97f4e5bfa558d39e5b03f5968ae078c",
            "info.json": "9cb84574460a6cf856d8b268f91e3059c192c4c13a0b0f2e2534754c7e577ffd",
        },
        _RTDL,
    ),
    "jannis": PublishedSet(
        "Jannis",
        "tabular/jannis",
        {
            "N_val.npy.xz": "89eea6b39e485d447b9a88cf17125104a3c510b4902601d201d35eca098dbb38",
            "N_test.npy.xz": "8131aa13f9ace2f418017d2eb0ff5cb5ae9219e91fa222315ce70ec0fff0152c",
            "y_val.npy.xz": "6e79b43b8665e5d29b379c6f84b6e4c6adeb46449b5b60b001174f63df31de5d",
            "y_test.npy.xz": "ef717de2677390fb8375e2b1dfd2cb2ad80d720f909eae053f2fd8a38f0c1b8f",
            "info.json": "058dd1eb537b4ddb4c0f2f35f09f264a659fd8b3e7d6cdd6ed670c520c917888",
        },
        _RTDL,
    ),
    "bank": PublishedSet(
        "Bank marketing",
        "tabular/bank_marketing",
        {"bank-additional.zip": "d7872ede7e2e89ef41f98027c976e8dfc8f6fc402e20208ce31adbdc6f092030"},
        "https://archive.ics.uci.edu/dataset/222/bank+marketing",
    ),
    "credit-g": PublishedSet(
        "credit-g (German credit)",
        "tabular/openml_small",
        {"creditg__dataset_31_credit-g.arff.xz": "a69c989e6744b13acd7890acefa6a9dd3c34bed07a10a471fcb007266ab720e4"},
        f"{_OPENML}/d/31",
    ),
    "jungle": PublishedSet(
        "Jungle chess",
        "tabular/openml_small",
        {
            "jungle__jungle_chess_2pcs_raw_endgame_complete.arff.xz": (
                "7920221756b2f0f6edf4bcb2ef1867af620960aaa303fcf1683f9c70b690b9a9"
            )
        },
        f"{_OPENML}/d/41027",
    ),
    "blood": PublishedSet(
        "Blood transfusion",
        "tabular/openml_small",
        {"blood__php0iVrYT.arff.xz": "7ac882cd432001c91fec2047701b694a1018e2bb8cae3ca07277e31c5bbbef00"},
        f"{_OPENML}/d/1464",
    ),
    "car": PublishedSet(
        "Car evaluation",
        "tabular/openml_small",
        {"car__car.data.xz": "2f16484e5fb85c87eaa413ccb4caedf554bab89d7c2b3243311f2a0105cd9f75"},
        "https://archive.ics.uci.edu/dataset/19/car+evaluation",
    ),
    "heart": PublishedSet(
        "Heart failure",
        "tabular/openml_small",
        {"heart__heart.csv.xz": "6c03f6bd4becc1013100069fe651b8d80b01df573e41456274ef878ea5a7dc68"},
        "https://www.kaggle.com/datasets/fedesoriano/heart-failure-prediction",
    ),
    "diabetes": PublishedSet(
        "Pima diabetes",
        "tabular/openml_small",
        {"diabetes__diabetes.csv.xz": "1728af72d2be48740804bfc09e7ad48b6ec2745082ff4f3e23e091e40323634e"},
        f"{_OPENML}/d/37",
    ),
    "helena": _arrays("Helena", "helena"),
    "higgs": _arrays("Higgs small", "higgs_small"),
    "aloi": _arrays("ALOI", "aloi"),
}
