"""The sequence package: wearable signals (``signals``) and event sequences (``events``), two plugins."""
