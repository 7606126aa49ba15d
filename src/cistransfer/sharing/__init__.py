"""Models handed on: packed with a card in words, exported, imported, pushed to a hub."""
