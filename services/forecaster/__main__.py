"""python -m services.forecaster"""

from services.forecaster.app import main

if __name__ == "__main__":
    main()
