"""Event sequences: irregular, typed events of an entity (purchases of a customer, measurements of a patient)."""
