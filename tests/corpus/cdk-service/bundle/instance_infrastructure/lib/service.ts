export class Service {
  constructor(readonly name: string) {}
}
