"""Where the published sets lie below the data root, and proof that the files are the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import PublishedSet

SOURCES: Mapping[str, PublishedSet] = MappingProxyType(
    {
        "physionet2012": PublishedSet(
            "PhysioNet / CinC Challenge 2012",
            "events/physionet2012",
            {
                "set-a.tar.xz": "1d0a581bec109d4181c3a8d2af57ac3ae370cc910d2bcc5b63a20dee82c7209f",
                "set-b.tar.xz": "c802d2642fd54f0a869b54a195bd984f1e401f9f0e82d989cbd75a21e80579b4",
                "Outcomes-a.txt": "2613ea60ccda29f87571a7d6b09ad130858a8ccd66325bd073365925026883c2",
                "Outcomes-b.txt": "1305f29734da374a809483229a99f33a9230aa8d4fa74b1a2d6ad788136423d5",
            },
            "https://physionet.org/content/challenge-2012",
        ),
        "adfa_ld": PublishedSet(
            "ADFA-LD (Creech and Hu 2013)",
            "events/adfa_ld",
            {"ADFA-LD.tar.xz": "1266ca7e00177a4d9d347008855a2548a726d12a00552686e81cd586ad408a37"},
            "https://research.unsw.edu.au/projects/adfa-ids-datasets",
        ),
        "stackoverflow": PublishedSet(
            "StackOverflow badges (Du et al. 2016)",
            "events/tpp",
            {"stackoverflow.tar.xz": "1ff466d612b9d58a679c65396684e74cd9f890ee787e8af237e3a9993b2807d0"},
            "https://github.com/dunan/NeuralPointProcess",
        ),
        "book_order": PublishedSet(
            "Book order (Du et al. 2016)",
            "events/tpp",
            {"book_order.tar.xz": "10e9336f61b8d86cec43c2ca33725139dd76dcba79a93dfa5a30cb473c72fbe9"},
            "https://github.com/dunan/NeuralPointProcess",
        ),
    }
)
"""The sets that can be named, by name."""
