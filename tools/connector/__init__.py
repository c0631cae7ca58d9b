"""The Power Platform connector in ``connector/``, written from the app: ``make docs`` writes it."""
