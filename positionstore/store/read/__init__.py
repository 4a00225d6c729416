"""Reading what analysts and exports ask for."""
