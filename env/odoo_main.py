"""Odoo's command line as a script: its web-socket process is started again by path."""

from odoo.cli.command import main

main()
