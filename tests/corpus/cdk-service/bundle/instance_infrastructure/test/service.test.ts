test('a service has a name', () => {});
