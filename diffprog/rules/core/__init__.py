"""What every rule is made of: its anatomy, the linear map underneath, dtypes, windows, and its record."""
