"""The network used directly: codes of segments and segments of codes, cached or in int8. Ids are made without it."""
