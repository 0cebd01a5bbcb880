"""Controls, queries, packs, OSCAL/OCSF export."""
