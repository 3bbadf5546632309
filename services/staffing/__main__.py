"""python -m services.staffing"""

from services.staffing.app import main

if __name__ == "__main__":
    main()
