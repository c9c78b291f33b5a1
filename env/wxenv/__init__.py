"""The development environment: from an empty machine to a running Odoo."""
