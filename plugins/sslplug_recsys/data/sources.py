"""Where the published sets lie below the data root, and proof that the files are the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import PublishedSet

SOURCES: Mapping[str, PublishedSet] = MappingProxyType(
    {
        "gowalla": PublishedSet(
            "Gowalla, LightGCN's split (Cho et al. 2011; He et al. 2020)",
            "recsys/gowalla",
            {
                "train.txt": "0f086326b28a56c2e6dcb81d86ee72d4ccb7eed3a8d26788392356d8f51111cc",
                "test.txt": "099a2a73924e4b754dc6efd730d764f492321b53c38eb93298850c83acf57be3",
            },
            "https://github.com/gusye1234/LightGCN-PyTorch",
        ),
        "lastfm": PublishedSet(
            "LastFM with friends, LightGCN's split (Cantador et al. 2011)",
            "recsys/lastfm",
            {
                "data1.txt": "c82af3228cbbda2f55a39244de09ed93292894f1d0d9f1908ebb57e27598fded",
                "test1.txt": "de4417c0e6123284ce59a0934bcf5288ec1ec8774a18a1eef453c9952dfa48f9",
                "trustnetwork.txt": "5b5bd7cbe4d22f3cd333dbfc7ec4b995cb2bdb28d95b0e9c5fc5607079f7b69e",
            },
            "https://grouplens.org/datasets/hetrec-2011/",
        ),
        "ml-100k": PublishedSet(
            "MovieLens-100K (Harper and Konstan 2015)",
            "recsys/ml-100k",
            {
                "u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
                "u.genre": "9757e0d3e6b298159a80dd48eaf938114690e911e39af97a76949ef1663610bb",
                "u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
                "u.user": "f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c",
                "u1.base": "ce253ec86c448b44fb3ba9a30d12dcfc2e9210cbde71efada3730c22e9ac212a",
                "u1.test": "18c6014a4b2c7324f250a63f8904a7b16b2b19f911129e346141507b0cbac950",
                "u2.base": "6c06f0b5df4b256da1a994f3ac66edc8da4d3f09bc9282df6b14d893366d703e",
                "u2.test": "4de658d1e04ed9104629509a2e2528fce833ac8e048280183f1df167632038c3",
                "u3.base": "afdc155c291c6edc41c0407e39d7462eb98d341e064f0b0a12175b80b3c4af5d",
                "u3.test": "0f548b51c78327de4c156461d3e430b7e5579fe2b5681586a59416e48fd35f6d",
                "u4.base": "219f0f4d40dfe9c5141d425f53fa91ee23ed275f14e280bbf1b50117afb064ca",
                "u4.test": "7c02ad0a1e7ab1083c8b9d4b627203a051dd7b5eab46d99fa44de33470de8db9",
                "u5.base": "a9574e59ce961eec2121627760b6e9b0974ce1637b3fe69ac32cb14a4bfab485",
                "u5.test": "351cc52e0d15b6c721466276fc24671d40936899e3d01fadeaf312915b8c5634",
            },
            "https://grouplens.org/datasets/movielens/100k/",
        ),
        "ml-1m": PublishedSet(
            "MovieLens-1M, the split MovieLens1M_m2 (Harper and Konstan 2015)",
            "recsys/ml-1m",
            {
                "train.txt": "f088986b22f14f17136f9c4ef6f1269201f83dfb9ce259f1fd4ed46d72a92599",
                "test.txt": "7ca364f7f9321417b521745833b12719a2feb13253bccece2c04d5afe9fc3e15",
            },
            "https://github.com/xue-pai/UltraGCN",
        ),
        "s3rec": PublishedSet(
            "sequences with item attributes (Zhou et al. 2020)",
            "recsys/s3rec",
            {
                "Beauty.txt": "226cce9c3105299ca0db9615d7d3fb32b3175e90da43100ae352599f0f0107b8",
                "Beauty_item2attributes.json": "129e40f67486f6877eff0f5318cfa8530ee8ac23d8b0d1de04e1bb7a2ba0b2d4",
                "LastFM.txt": "9ded486adb5b0fe9dc761950afa0a9a05e93ff018992e0c52bf11afec529f802",
                "LastFM_item2attributes.json": "a4ccd678dc9ff6d43fe5073f491db5c9b02eb98dfa4f8c0382913a784be217ef",
                "Sports_and_Outdoors.txt": "2a095e0648872beb9982408958290f5d655db5be2911c3756b5446de9f0b8de2",
                "Sports_and_Outdoors_item2attributes.json": "7fb10733ac4f1811384a52144cdefa7fcc7536fa80a7232c5da9bd789155c34b",
                "Yelp.txt": "724b219106b81dd2349027da997334ddb6da9fe2f152ad6e0d97a93170f7caed",
                "Yelp_item2attributes.json": "f25acd5e1e680e0b22fd4e3f4fb6be4b2a7461e9222610616e3e1ee6702dd58d",
            },
            "https://github.com/RUCAIBox/CIKM2020-S3Rec",
        ),
        "yelp": PublishedSet(
            "Yelp, SSLRec's split (Ren et al. 2024)",
            "recsys/yelp-sslrec",
            {
                "train.txt": "37ff581c176868a7bfd73fa2cdbe61f66a7ad3f8b4ef8976279d1a2370a5444d",
                "valid.txt": "f9e2269f1179a0246ab5463c952d2a2939fbb7e23bc6c2a9828ab5b6d33a096a",
                "test.txt": "19142e7732fbeff7cea3d6e3009f0159583d1b11a66123093bd3f0339cf6e190",
            },
            "https://github.com/HKUDS/SSLRec",
        ),
    }
)
"""The sets that can be named, by name."""
