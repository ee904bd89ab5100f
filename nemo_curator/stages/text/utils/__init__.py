"""Names that existing scripts import from here."""
